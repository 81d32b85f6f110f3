/*
 * storage: keeps files. A content-addressed store on one folder; it is given a
 * verified archive and gives back releases and views. It has never heard of
 * registries or of HTTP.
 *
 *	object   one file's content, named by its SHA-256, never changed in place
 *	release  one tag's content: a sorted list of paths and objects; the rename
 *	         of its file into releases/ is the commit
 *	view     what is served: all releases laid over one another, newest on top;
 *	         immutable, counted, swapped whole
 *
 * Threads: store_open, store_publish, store_republish, store_remove,
 * store_collect, store_expire_views and store_close belong to one writing thread at a
 * time. Everything about views and contents may be called from any thread.
 *
 * Nothing here logs: what an operator should know is told to the observer.
 */
#ifndef SPECMAN_STORAGE_H
#define SPECMAN_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/digest.h"
#include "base/err.h"

enum {
	STORE_TAG_SIZE = 128 + 1,
	STORE_CREATED_SIZE = 40, /* RFC 3339, or "" */
	STORE_CONTENT_BYTES = 32,
	STORE_PROOF_BYTES = 1 << 20, /* that a proof may have */
};

/* What an archive may cost. All are upper bounds, each is checked while unpacking. */
struct store_limits {
	uint64_t entries;     /* files and folders of one archive */
	uint64_t file_bytes;  /* one file, unpacked */
	uint64_t total_bytes; /* all files, unpacked */
	uint64_t ratio;       /* unpacked : packed, checked past ratio_from bytes */
	uint64_t ratio_from;
	size_t path_bytes; /* one path */
	unsigned depth;    /* components of one path */
};

/* The defaults of the design: 1,000,000; 4 GiB; 8 GiB; 200 past 100 MiB; 4,096; 64. */
extern const struct store_limits store_default_limits;

enum store_event_kind {
	STORE_RELEASE_BROKEN, /* a release's file is damaged: left out of the view. subject: tag */
	STORE_OBJECT_DAMAGED, /* an object is missing or wrong. subject: object; detail: path, why
	                       */
	STORE_OBJECT_HEALED,  /* it is whole again. subject: object; detail: how */
	STORE_HASHES_MADE, /* the list of hashes of a large object was missing. subject: object */
	STORE_OVERLAY_CONFLICT, /* a file lies where an older release has a folder. subject: path */
	STORE_RESERVED_NAME,    /* an archive's own .specman is not served. subject: tag */
	STORE_NOT_LOCKED,     /* the file system has no locks: nothing keeps a second process away.
	                         subject: the folder */
	STORE_NOT_SWEPT,      /* it can't be made sure what is to be swept. subject: the folder */
	STORE_HISTORY_LOST,   /* a change could not be noted. subject: tag */
	STORE_VIEWS_GIVEN_UP, /* before their time. subject: why; detail: how many */
};

/* Told from any thread; must be quick. detail is a sentence, or "". */
typedef void store_observer(void *ctx, enum store_event_kind kind, const char *subject,
                            const char *detail);

/* How releases are laid over one another, the last one on top. */
enum store_overlay {
	STORE_OVERLAY_SEMVER, /* in the order of store_tag_compare */
	STORE_OVERLAY_PUSHED, /* by when a tag was first seen with its manifest */
	STORE_OVERLAY_SINGLE, /* the last one of that order, alone */
};

/* What a release says of itself. */
struct store_release {
	char tag[STORE_TAG_SIZE];
	struct digest manifest;
	struct digest layer;
	char created[STORE_CREATED_SIZE];
	int64_t seen_ms; /* since 1970: when the tag was first seen with this manifest */
	uint64_t files;
	uint64_t bytes; /* of all files, shared or not */
};

/*
 * Whether a release may be served, by the proof that was kept for its manifest ("" and 0:
 * there is none). files and bytes are not set. Called in store_open, and by the writing
 * thread.
 */
typedef bool store_admission(void *ctx, const struct store_release *release, const char *proof,
                             size_t size);

/* Borrowed during store_open, but for observer_ctx and admits_ctx. */
struct store_settings {
	const char *dir; /* made when it is not there, its parent must be */
	struct store_limits limits;
	enum store_overlay overlay;
	bool allow_rollback;      /* see store_publish */
	uint64_t reserve_bytes;   /* free space that no download may use */
	size_t cache_bytes;       /* memory for contents that are asked for often; 0: none */
	store_observer *observer; /* or NULL */
	void *observer_ctx;
	store_admission *admits; /* NULL: all releases are */
	void *admits_ctx;
};

struct store;

/*
 * Take the folder: lock it, check its format, throw away what was under way
 * when the last writer ended (but downloads of the last seven days), load the
 * releases, publish the view. No network, no content is read, and no object is
 * looked for: store_collect, which is to be called once before anything is
 * published, sweeps what the last writer left in objects/ and finds what is
 * missing there; until then no object is shared (object.h). Errors: ERR_CONFIG
 * when another process has the lock (says which) or the format is of a newer
 * specman, else ERR_IO with the path.
 */
MUST_CHECK struct store *store_open(const struct store_settings *settings, struct err *err);

/*
 * Open a store that is there for reading only, also beside the process that
 * writes it, whose lock is not taken and whose files are not touched. The views
 * are those of the releases that were committed at that moment; what they name
 * may be swept meanwhile: then store_content_open says ERR_NOT_FOUND, and
 * opening the store anew shows what is there now. Errors: ERR_NOT_FOUND where
 * no store is, else those of store_open but for the lock. Functions that change
 * the store must not be called.
 */
MUST_CHECK struct store *store_open_reader(const struct store_settings *settings, struct err *err);

/*
 * Whether this version knows the format of the store in an existing folder; one
 * without a store is fine, too. Only reads, and takes no lock: the store may be
 * in use. ERR_CONFIG, ERR_IO.
 */
MUST_CHECK int store_check_format(const char *dir, struct err *err);

/* No view may be held and no content be open any more. NULL is fine. */
void store_close(struct store *store);

/*
 * Order of tags, as strcmp: tags that are no versions first, in byte order;
 * then versions by SemVer 2.0 precedence (section 11; a leading v is allowed,
 * and so are missing minor and patch numbers); versions of equal precedence in
 * byte order.
 */
int store_tag_compare(const char *a, const char *b);

/* What a tag is to that order. */
enum store_tag_kind {
	STORE_TAG_NO_VERSION,
	STORE_TAG_VERSION,
	STORE_TAG_PRE_RELEASE, /* a version with a hyphen: 4.6.0-rc.1 */
};

enum store_tag_kind store_tag_kind(const char *tag);

/*
 * SemVer 2.0 precedence alone: 4.5, v4.5 and 4.5.0 are equal. Both are to be
 * versions; one that is none comes before all that are.
 */
int store_version_compare(const char *a, const char *b);

/*
 * The committed release of this tag. ERR_NOT_FOUND without one; also when it
 * is damaged, names an object that is missing or damaged, or may not outlast a
 * power loss, or settings->admits does not take it: it is to be fetched again then.
 */
MUST_CHECK int store_release_find(struct store *store, const char *tag,
                                  struct store_release *out_release, struct err *err);

/*
 * Whether the tag's release is committed, its file is whole and it may be served,
 * whatever has become of the objects that it names.
 */
bool store_release_is_whole(struct store *store, const char *tag);

/* Whether it is all that, but that settings->admits does not take it. */
bool store_release_is_withheld(struct store *store, const char *tag);

/*
 * A download under way: a file in the store's tmp/. When it is freed before it
 * was published it stays there, over a restart, too, for the next one of the
 * same layer to go on with; unless it is empty, or writing or reading it failed.
 */
struct store_download;

/*
 * Open the download of a layer of `size` bytes. Where the room is short, objects
 * that nothing names and then other downloads are removed first. ERR_NO_SPACE
 * with the numbers (needed, free, reserve) when the disk has not enough even then.
 */
MUST_CHECK struct store_download *store_download_open(struct store *store,
                                                      const struct digest *layer, uint64_t size,
                                                      struct err *err);

/*
 * How many bytes an earlier one has left. Nothing is known of them but their
 * number, which is at most `size`: they are to be read and hashed like bytes
 * that come, and to be taken back when the whole has another digest.
 */
uint64_t store_download_held(const struct store_download *download);
MUST_CHECK int store_download_read(struct store_download *download, void *bytes, size_t size,
                                   uint64_t offset, struct err *err);

/* Append. ERR_NO_SPACE with numbers before the reserve is touched. */
MUST_CHECK int store_download_write(struct store_download *download, const void *bytes, size_t size,
                                    struct err *err);
/* Take back all that is in it: better bytes follow. */
MUST_CHECK int store_download_restart(struct store_download *download, struct err *err);
void store_download_free(struct store_download *download);

/* Remove all downloads that are not open: there is nothing left to go on with. */
void store_download_sweep(struct store *store);

/* Borrowed names and digests of a release to be made. */
struct store_source {
	const char *tag;
	const char *created; /* RFC 3339, or "" */
	const struct digest *manifest;
	const struct digest *layer;
	const char *proof; /* kept for settings->admits, with proof_size bytes; or NULL */
	size_t proof_size;
	const struct digest *signer; /* the fingerprint of the key that signs it, or NULL */
};

/*
 * Unpack a verified download into a release, commit it and publish a view with
 * it; the tag's earlier release is replaced. It is read from disk for that, and
 * each byte that is read is held against the digest once more. On any error the store and the
 * view are as before, and what was written is freed; the download stays for
 * another try where the archive itself is not at fault. (One error comes after
 * the commit: when releases/ can't be synced, the release is there and served,
 * and may be the earlier one again after a power loss. It is written once more by
 * the next sync, and nothing is swept until then.) Errors: ERR_FORMAT (names the
 * entry) and ERR_LIMIT for the archive, ERR_NO_SPACE (with numbers, before the
 * reserve is touched), ERR_IO, ERR_CANCELLED; ERR_DIGEST, ERR_ROLLBACK.
 *
 * ERR_DIGEST: the download was read back from disk, as a whole, and is not the
 * layer any more (or an archive in it that had become an object changed so). The
 * archive is not at fault, the disk is; the download goes when it is freed, for
 * the layer to be fetched anew.
 *
 * ERR_IO because the download can't be read: it goes as well.
 *
 * ERR_ROLLBACK: the tag has a release of another layer that was created later,
 * and settings->allow_rollback was not given. Where either date is missing or
 * can't be read, nothing is held against it.
 */
MUST_CHECK int store_publish(struct store *store, const struct store_source *source,
                             struct store_download *download, const struct cancel *cancel,
                             struct store_release *out_release, struct err *err);

/*
 * The same when a release of any tag was made from source->layer already:
 * nothing is downloaded or unpacked. ERR_NOT_FOUND when there is none.
 */
MUST_CHECK int store_republish(struct store *store, const struct store_source *source,
                               struct store_release *out_release, struct err *err);

/*
 * Take releases away: their files are removed, durably, and a view without
 * them all is published in one swap, in which the files of older releases
 * below them come to light. Who holds an older view goes on reading from it;
 * the objects are left to store_collect. A tag without a release is no error,
 * since it is as was wanted; a damaged release can be removed as well.
 *
 * A process that is killed meanwhile leaves each release as a whole or not at
 * all. On an error (ERR_IO) the same holds: each release is either in the view
 * and on disk or will be in neither once the next view is built.
 */
MUST_CHECK int store_remove(struct store *store, const char *const *tags, size_t count,
                            struct err *err);

/*
 * Append the proof that was kept for a manifest. ERR_NOT_FOUND: none was; ERR_IO. The
 * writing thread's.
 */
MUST_CHECK int store_proof(struct store *store, const struct digest *manifest,
                           struct buf *out_proof, struct err *err);

/*
 * Build the view anew, since settings->admits has changed its mind about some releases; no
 * view of before can be had by its name then.
 * On an error (ERR_IO) the old view stays, and each call that looks for a release tries
 * again.
 */
MUST_CHECK int store_reconsider(struct store *store, struct err *err);

/*
 * The tags of all releases on disk, in overlay order, also of damaged ones that
 * the view leaves out. A heap array of heap strings; store_tags_free frees it.
 */
MUST_CHECK int store_tags(struct store *store, char ***out_tags, size_t *out_count,
                          struct err *err);
void store_tags_free(char **tags, size_t count);

/*
 * Sweep objects that neither a release nor a held view names, and find those
 * that are named and missing: they count as damaged then. Does nothing while a
 * release's file is damaged, since what it named is not known. An object that
 * can't be removed does not keep the others: ERR_IO tells of the first, and the
 * next sweep tries again.
 */
MUST_CHECK int store_collect(struct store *store, uint64_t *out_swept, struct err *err);

/* Whether the last one did nothing for that reason. The writing thread's. */
bool store_collect_was_held(const struct store *store);

/* A change of what a tag stands for. */
struct store_change {
	int64_t when_ms; /* since 1970 */
	char tag[STORE_TAG_SIZE];
	bool had_release, has_release; /* before and after */
	struct digest from, to;        /* their manifests */
	bool is_signed;                /* by a key that was trusted then: */
	struct digest signer;          /* its fingerprint */
};

/* A visitor ends the reading with -1 and *err. */
typedef int store_history_visitor(void *ctx, const struct store_change *change, struct err *err);

/* The changes that are remembered, the oldest first: those of the last MiB of them or two. */
MUST_CHECK int store_history(struct store *store, store_history_visitor *visit, void *ctx,
                             struct err *err);

/* An immutable overlay of releases. */
struct store_view;

/* Take a reference to the newest view; never NULL. Any thread. */
struct store_view *store_view_get(struct store *store);
void store_view_put(struct store_view *view);

/* Take another reference to a view that is held. Any thread. */
void store_view_ref(struct store_view *view);

/*
 * Keep each view that is replaced from now on for so long (0: for no time), to be had by
 * its name; what such a view names is not swept. It goes earlier, and the observer is
 * told, when there are STORE_VIEWS_MAX, when they come to more than 32 MiB (the one that
 * was replaced last counts once the next is built), or when a release has no room on disk.
 */
void store_keep_views(struct store *store, int64_t lease_ms);

enum { STORE_VIEWS_MAX = 64 + 1, STORE_VIEW_ID_SIZE = 64 + 1 };

/*
 * Take a reference to the current or kept view with this store_view_id. NULL without one;
 * *out_is_gone is then whether it was kept, as far as is remembered. Any thread.
 */
struct store_view *store_view_named(struct store *store, const char *id, bool *out_is_gone);

/* When a view was the current one, in milliseconds since 1970. */
struct store_view_times {
	char id[STORE_VIEW_ID_SIZE];
	int64_t since_ms;
	int64_t until_ms; /* it is kept; 0: it is the current one */
};

/* The views that can be had by their names, the current one last. Their number. Any thread. */
size_t store_views(struct store *store, struct store_view_times out_views[static STORE_VIEWS_MAX]);

/*
 * Let go of views whose time is over. Whether any view went, since this was asked or the
 * store was swept, that may have named what nothing else does: store_collect is due then.
 */
bool store_expire_views(struct store *store);

/*
 * A view of one release alone, with all that it has. ERR_NOT_FOUND without one,
 * ERR_FORMAT when it is damaged. The writing thread's, or a reader's.
 */
MUST_CHECK struct store_view *store_view_of(struct store *store, const char *tag, struct err *err);

/* Releases in the view, in overlay order (the last one is on top). */
size_t store_view_release_count(const struct store_view *view);
const struct store_release *store_view_release(const struct store_view *view, size_t index);

/*
 * A view of one release of a view that is held, with all that it has, whatever
 * lies over it there: from memory, or NULL when it has to be loaded. Any thread, cheap.
 */
struct store_view *store_release_view_get(struct store *store, const struct store_release *release);

/*
 * The same, read from the release's file unless somebody holds it: of 10,000 files
 * that takes some tens of milliseconds, for which sweeping has to wait. A few are
 * kept in memory, at most 100,000 entries in all or else one. Any thread. ERR_NOT_FOUND when it was
 * replaced or removed meanwhile, ERR_FORMAT when it is damaged, ERR_IO.
 */
MUST_CHECK struct store_view *
store_release_view_load(struct store *store, const struct store_release *release, struct err *err);

/* How many files there are to be asked for, and the bytes of all of them. */
uint64_t store_view_files(const struct store_view *view, uint64_t *out_bytes);

/* How much of what a view serves is of one release: what newer ones don't cover. */
struct store_share {
	uint64_t files;
	uint64_t bytes;
};

/* Count that for each release, in their order. Goes through all entries: some tens of
 * milliseconds for a million. */
void store_view_share_out(const struct store_view *view, struct store_share *out_shares);

/* 64 hex digits that name its releases, in their order; the same on every replica. */
const char *store_view_id(const struct store_view *view);

/* A file or folder of a view; lives as long as the view is held. */
struct store_entry {
	const char *name;   /* one component, NUL-terminated bytes, "" for the root */
	uint64_t size;      /* of a file */
	int64_t mtime;      /* seconds since 1970 */
	uint64_t twin_size; /* of the twin; 0: it has none, since that would save too little */
	unsigned char
		content[STORE_CONTENT_BYTES];    /* SHA-256 of a file; see store_content_digest */
	unsigned char twin[STORE_CONTENT_BYTES]; /* of its gzip form (RFC 1952, best ratio) */
	uint32_t release;                        /* index of the release that it came from */
	uint32_t first_child;                    /* of a folder; the view's own */
	uint32_t child_count;
	uint16_t mode; /* permission bits */
	bool is_folder;
};

/* The digest of a file. */
struct digest store_content_digest(const struct store_entry *file);

/* The digest of the gzip form of a file that has one. */
struct digest store_twin_digest(const struct store_entry *file);

/*
 * Look up a path of `length` bytes: components separated by single slashes,
 * none at either end, "" for the root. NULL when there is none. Never touches
 * the file system.
 */
const struct store_entry *store_view_find(const struct store_view *view, const char *path,
                                          size_t length);

/* The child with this number (0 to child_count - 1) of a folder, sorted by name in byte order. */
const struct store_entry *store_view_child(const struct store_view *view,
                                           const struct store_entry *folder, size_t number);

/*
 * A file's content, every byte of it checked after it was read from disk. Up
 * to STORE_IN_MEMORY_BYTES it is in memory as a whole, shared with all who read
 * it; what is larger is read in parts by store_content_read.
 */
struct store_content {
	const void *bytes;           /* immutable; NULL for a large file */
	struct cache_piece *piece;   /* what holds bytes */
	struct store_reader *reader; /* of a large file */
};

enum { STORE_IN_MEMORY_BYTES = 1024 * 1024, STORE_BLOCK_BYTES = 128 * 1024 };

/*
 * Open a file of a held view. From the cache it costs a look-up; else a small
 * file is read and hashed, and of a large one the list of its blocks' hashes
 * is (32 bytes each). Errors: ERR_DIGEST when the object is missing, damaged or
 * can't be read: it is put aside, the observer is told, and the release is to
 * be fetched again (store_release_find says so). ERR_NOT_FOUND when the list is
 * missing: store_scrub_step makes it anew. ERR_IO for a lack of memory or descriptors.
 *
 * In a store of store_open_reader nothing is put aside, a missing object is
 * ERR_NOT_FOUND, and a large file is hashed as a whole before this returns.
 */
MUST_CHECK int store_content_open(struct store *store, const struct store_entry *file,
                                  struct store_content *out_content, struct err *err);

/*
 * The same for the gzip form of a file that has one. On an error the file
 * itself may be whole, and is to be given out instead; what is damaged is
 * noted, told and fetched again as any other object.
 */
MUST_CHECK int store_twin_open(struct store *store, const struct store_entry *file,
                               struct store_content *out_content, struct err *err);

/* The same for any object that a release names. `name` is what the observer is told. */
MUST_CHECK int store_content_open_object(struct store *store, const struct digest *digest,
                                         uint64_t size, const char *name,
                                         struct store_content *out_content, struct err *err);

/*
 * Read from a large file at offset `at` (below its size): at least a byte, at
 * most to the end of the block of STORE_BLOCK_BYTES that it is in. No byte is
 * given out of a block that is not as it was. Errors as above.
 */
MUST_CHECK int store_content_read(const struct store_content *content, uint64_t at, void *bytes,
                                  size_t size, size_t *out_read, struct err *err);

/* The store has to be open still. */
void store_content_release(struct store_content *content);

struct store_verify_observer {
	/* A release's file (path is "") or a file in it is damaged: what is a sentence. */
	void (*flaw)(void *ctx, const char *tag, const char *path, const char *what);
	void (*progress)(void *ctx, uint64_t done, uint64_t all); /* bytes */
	void *ctx;
};

struct store_verdict {
	uint64_t releases, objects, bytes; /* that were read */
	uint64_t flaws;
	uint64_t orphans; /* objects that no release names: the next sweep's, or on the way in */
};

/*
 * Read and hash all that the releases name. Changes nothing, and may run beside
 * the writer: what was replaced meanwhile is no flaw. For stores of
 * store_open_reader. Flaws are told and counted; an error (ERR_IO) means that
 * the check did not come to its end.
 */
MUST_CHECK int store_verify(struct store *store, const struct store_verify_observer *observer,
                            struct store_verdict *out_verdict, struct err *err);

/*
 * Scrubbing: reading again, in the background, all that releases name. Damage
 * is put aside and told as when a request finds it; an object in quarantine/
 * that is whole after all is put back. One thread beside the writer; where it
 * got to is kept in the store's file `scrub`.
 */
struct store_scrub;

MUST_CHECK struct store_scrub *store_scrub_new(struct store *store, struct err *err);
void store_scrub_free(struct store_scrub *scrub);

/* What a step came to. */
struct store_scrub_progress {
	uint64_t bytes; /* read by this step: 1 MiB at most, but for a release's file */
	uint32_t ppm;   /* how much of the pass is done, in millionths */
	bool has_ended; /* the pass, with this step; the next one begins another */
	bool is_urgent; /* a request waits for what was read: go on at once */
};

/*
 * Go a step. only_wanted leaves out all but the lists of hashes that requests
 * miss. Errors (ERR_IO, when a folder can't be listed) don't stop a pass: the
 * next step goes on behind.
 */
MUST_CHECK int store_scrub_step(struct store_scrub *scrub, bool only_wanted,
                                struct store_scrub_progress *out_progress, struct err *err);

/* Whether a request misses a list of hashes: a step is wanted now. Any thread. */
bool store_scrub_is_wanted(struct store *store);

/* Figures since store_open, but for those of "now". Any thread, cheap. */
struct store_counters {
	uint64_t objects;      /* named by releases and held views, at the last sweep */
	uint64_t object_bytes; /* of all these, each once */
	uint64_t damaged;      /* now: found missing or wrong, and not healed yet */
	uint64_t damaged_total;
	uint64_t healed_total;
	uint64_t cache_hits;
	uint64_t cache_misses;
	uint64_t cache_evictions;
	uint64_t cache_pieces; /* now */
	uint64_t cache_bytes;  /* now, with all that it costs */
	uint64_t cache_limit;
	uint64_t scrub_objects; /* looked at */
	uint64_t scrub_bytes;
	uint64_t scrub_passes;
	int64_t scrub_passed_at; /* when a pass last ended, also before store_open; 0: never */
	uint32_t scrub_ppm;      /* how much of the pass under way is done, in millionths */
};

void store_count(struct store *store, struct store_counters *out_counters);

enum { STORE_QUARANTINED_MAX = 10000 };

/* How many files lie in quarantine/; counting ends at STORE_QUARANTINED_MAX. Any thread. ERR_IO. */
MUST_CHECK int store_count_quarantined(struct store *store, uint64_t *out_count, struct err *err);

#endif
