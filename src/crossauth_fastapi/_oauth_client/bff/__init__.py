"""The backend-for-frontend: URLs of this site that are served by an API, with the access token of the browser's session."""
