BEGIN TRANSACTION;
CREATE TABLE accesstoken (
	user_id CHAR(36) NOT NULL, 
	token VARCHAR(43) NOT NULL, 
	created_at TIMESTAMP NOT NULL, 
	PRIMARY KEY (token), 
	FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE cascade
);
INSERT INTO "accesstoken" VALUES('7724f7dd-686b-4396-b997-3de425d84378','c4GNxBCT5gmvh1zFO-0QkhIw4G3_qFx9mAT3Lx061aI','2026-11-24 17:25:14.535893');
CREATE TABLE oauth_account (
	id CHAR(36) NOT NULL, 
	user_id CHAR(36) NOT NULL, 
	oauth_name VARCHAR(100) NOT NULL, 
	access_token VARCHAR(1024) NOT NULL, 
	expires_at INTEGER, 
	refresh_token VARCHAR(1024), 
	account_id VARCHAR(320) NOT NULL, 
	account_email VARCHAR(320) NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE cascade
);
CREATE TABLE user (
	nickname VARCHAR(50), 
	id CHAR(36) NOT NULL, 
	email VARCHAR(320) NOT NULL, 
	hashed_password VARCHAR(1024) NOT NULL, 
	is_active BOOLEAN NOT NULL, 
	is_superuser BOOLEAN NOT NULL, 
	is_verified BOOLEAN NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "user" VALUES('Wart','7724f7dd-686b-4396-b997-3de425d84378','arthur@camelot.bt','$argon2id$v=19$m=65536,t=3,p=4$wmFSzF5UkOQdD2YaEdPHow$DxBN422TS0pgF+2Pszvh2K+ybtepZWsJxxYS59Rl7Vo',1,0,0);
INSERT INTO "user" VALUES(NULL,'3e03c2c5-c39d-4576-8231-6cc4557e37d8','Lancelot@camelot.bt','$2b$04$Asp.JabLR.HhGwOWsJHTauI6.QZ4HWYDT.wz1TN3w8rakei9egTNe',1,0,0);
INSERT INTO "user" VALUES(NULL,'34b3d410-75f7-428c-8b0e-00c29fdfa3e0','merlin@camelot.bt','$argon2id$v=19$m=65536,t=3,p=4$SNj6JGlR7Cv541asAQ/kFA$9O56nCtWqbjE9PK3hxPgIIQxx+kaMRLNl+iAEsYn3RA',1,1,0);
CREATE UNIQUE INDEX ix_user_email ON user (email);
CREATE INDEX ix_oauth_account_account_id ON oauth_account (account_id);
CREATE INDEX ix_oauth_account_oauth_name ON oauth_account (oauth_name);
CREATE INDEX ix_accesstoken_created_at ON accesstoken (created_at);
COMMIT;
