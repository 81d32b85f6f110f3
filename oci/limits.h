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
	LIMIT_LAYOUT_BYTES = 4 << 10,   /* the file oci-layout; the specification's own has 30 */
	LIMIT_AWS_BYTES = 64 << 10,     /* an answer of AWS: tokens take 2 KiB, sessions 4 */
	LIMIT_AWS_KEY_BYTES = 16 << 10, /* one key, token or role in it */

	/* The environment. */
	LIMIT_PROXY_BYTES = 4 << 10, /* of HTTPS_PROXY and HTTP_PROXY */
	LIMIT_NO_PROXY_BYTES = 64 << 10,

	/* Files that AWS' environment variables name. */
	LIMIT_AWS_TOKEN_FILE = 64 << 10,   /* a service account's token takes 2 KiB */
	LIMIT_AWS_PROFILES_FILE = 1 << 20, /* ~/.aws/credentials */

	/* JSON: depth, and values, each of which costs some 100 bytes once parsed. */
	LIMIT_JSON_DEPTH = 32,
	LIMIT_JSON_VALUES = 100000,

	/* Signatures: one is some hundred bytes, a bundle with a transparency log's entry 10 KiB.
	 */
	LIMIT_SIGNATURE_BYTES = 256 << 10, /* blobs of this size and less have LIMIT_ANSWER_MS */
	LIMIT_SIGNATURES = 100,            /* layers of one manifest that are looked at */
	LIMIT_REFERRERS = 32,              /* manifests that are looked at */
	LIMIT_REFERRER_PAGES = 8,          /* of their index */
	LIMIT_SIGNATURE_FETCHES = 64, /* manifests and layers that are fetched for one answer */

	/* Lists. */
	LIMIT_TAGS = 10000,
	LIMIT_TAG_PAGES = 1000,
	LIMIT_TAGS_ASKED = 1000, /* n=: ECR and distribution 3.1 refuse more */
	LIMIT_LIST_STARTS = 3,   /* zot: a list broken by a deleted `last` starts again */
	LIMIT_LAYERS = 1000,     /* layers of a manifest, entries of an index */

	/* Connections. */
	LIMIT_PARALLEL = 16, /* requests side by side */
	LIMIT_REDIRECTS = 5,

	/* Times. A large download as a whole has none; what may be held in memory has. */
	LIMIT_CONNECT_MS = 10 * 1000,
	LIMIT_IDLE_S = 60,      /* of silence, unless the settings say otherwise */
	LIMIT_LEAST_RATE = 256, /* bytes a second; what is slower counts as silent: a handshake of
	                           TLS takes more to be over within LIMIT_CONNECT_MS */
	LIMIT_ANSWER_MS = 5 * 60 * 1000,
	LIMIT_LIST_MS = 15 * 60 * 1000,   /* for all pages of tags together */
	LIMIT_SEARCH_MS = 15 * 60 * 1000, /* for what is asked of a source about one signature */
	LIMIT_POLL_MS = 1000,             /* the longest sleep: a stop wakes it at once */
	LIMIT_AWS_ANSWER_MS = 30 * 1000,
	LIMIT_AGENT_ANSWER_MS = 10 * 1000, /* on the same node, but it asks AWS itself */
	/* Where there is no metadata service, packets to it may vanish; then nothing is to hang. */
	LIMIT_METADATA_CONNECT_MS = 1000,
	LIMIT_METADATA_ANSWER_MS = 2000,

	/* Pushing. */
	LIMIT_WHOLE_BYTES = 64 << 20,     /* a larger blob is sent in chunks */
	LIMIT_CHUNK_BYTES = 16 << 20,     /* lost at the most when a connection breaks */
	LIMIT_COMMIT_S = 10 * 60,         /* a registry may copy or hash all of a blob, silently */
	LIMIT_READ_BACK_BYTES = 64 << 20, /* a larger blob is not fetched again as a proof */

	/* Asking again. */
	LIMIT_RETRIES = 5,               /* pauses in a round of one client */
	RETRY_BASE_MS = 500,             /* the longest first pause; it doubles */
	LIMIT_RETRY_AFTER_S = 60 * 60,   /* that a Retry-After can demand */
	LIMIT_RETRY_WAIT_MS = 60 * 1000, /* a longer one ends the round */
	LIMIT_PROGRESS_BYTES = 1 << 20,  /* a download broken off behind so many has begun anew */
	RETRY_DOWN_MS = 30 * 1000,       /* how long a source that failed is asked last */

	/* Tokens. */
	TOKEN_DEFAULT_S = 60, /* distribution, "Token Authentication": expires_in */
	LIMIT_TOKEN_S = 24 * 60 * 60,
	LIMIT_AWS_LIFE_S = 12 * 60 * 60, /* of ECR's tokens; roles' sessions end no later */
	AWS_TOKEN_MARGIN_S = 60 * 60,    /* ECR's tokens are renewed that long before their end */
	AWS_KEYS_MARGIN_S = 5 * 60,      /* and temporary keys that long */
	TOKEN_RETRY_S = 60,              /* after a renewal that failed while the old one lives */
};

#endif
