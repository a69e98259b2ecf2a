"""Error codes and how refusals look."""

from crossauth_fastapi.fastapi_users._errors import ErrorCode, ErrorCodeReasonModel, ErrorModel, FurtherErrorCode

__all__ = ["ErrorCode", "ErrorCodeReasonModel", "ErrorModel", "FurtherErrorCode"]
