/*
 * Every ceiling on what a registry, a token server or an operator's file can
 * make the client hold, repeat or wait for. A registry that needs more is
 * refused with ERR_LIMIT (sizes, counts) or ERR_NETWORK (times).
 */
#ifndef SPECMAN_OCI_LIMITS_H
#define SPECMAN_OCI_LIMITS_H

enum {
	/* Answers that are held in memory. */
	LIMIT_MANIFEST_BYTES = 4 << 20, /* distribution-spec, "Pushing manifests": 4 MiB at least */
	LIMIT_TAG_PAGE_BYTES = 4 << 20, /* 10,000 tags of the longest kind take 1.3 MiB */
	LIMIT_TOKEN_BYTES = 128 << 10,  /* a token of a large groups claim stays below 64 KiB */
	LIMIT_ERROR_BYTES = 64 << 10,   /* of an error's body; the rest isn't waited for */
	LIMIT_HEADER_BYTES = 64 << 10,  /* all header lines of a request's answers together */
	LIMIT_URL_BYTES = 8 << 10,      /* presigned URLs with a session token take 2 KiB */
	LIMIT_CONFIG_BYTES = 1 << 20,   /* a Kubernetes secret holds no more */
	LIMIT_PROXY_BYTES = 4 << 10,    /* of HTTPS_PROXY and HTTP_PROXY */
	LIMIT_NO_PROXY_BYTES = 64 << 10,

	/* JSON: depth, and values, each of which costs some 100 bytes once parsed. */
	LIMIT_JSON_DEPTH = 32,
	LIMIT_JSON_VALUES = 100000,

	/* Lists. */
	LIMIT_TAGS = 10000,
	LIMIT_TAG_PAGES = 1000,
	LIMIT_TAGS_ASKED = 1000, /* n=: ECR and distribution 3.1 refuse more */
	LIMIT_LIST_STARTS = 3,   /* zot: a list broken by a deleted `last` starts again */
	LIMIT_LAYERS = 1000,     /* layers of a manifest, entries of an index */

	/* Connections. */
	LIMIT_PARALLEL = 16, /* requests side by side */
	LIMIT_REDIRECTS = 5,

	/* Times. A large download as a whole has none; what is held in memory has. */
	LIMIT_CONNECT_MS = 10 * 1000,
	LIMIT_IDLE_S = 60,
	LIMIT_ANSWER_MS = 5 * 60 * 1000,
	LIMIT_POLL_MS = 1000, /* the longest sleep: a stop wakes it at once */

	/* Tokens. */
	TOKEN_DEFAULT_S = 60, /* distribution, "Token Authentication": expires_in */
	LIMIT_TOKEN_S = 24 * 60 * 60,
};

#endif
