/* The entries of an archive, by libarchive; see entry_reader.h. */
#include "entry_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <archive.h>

#include "base/cleanup.h"
#include "stream.h"

/* What is inside a packed archive besides contents: headers, padding, long names. */
static const uint64_t stream_bytes_an_entry = 4096;

enum { HEADER_BYTES_MAX = 1 << 20, LISTED_BYTES_AN_ENTRY = 256 };

struct entry_reader {
	const struct store_limits *limits;
	const struct cancel *cancel;
	const char *path;
	struct proven *file;
	struct stream *stream; /* NULL when the file is read in any order */
	struct archive *archive;
	struct err read_err; /* why reading failed */
	locale_t utf8;       /* the thread's, for zip; 0 where the system has none */
	locale_t before;     /* the thread's own meanwhile */
	bool is_header;      /* libarchive reads one, and may have so many bytes more: */
	uint64_t header_left;
	bool is_content; /* it stands in one */
};

DEFINE_CLEANUP(cleanup_reader, struct entry_reader, entry_reader_free);

static int failed(struct entry_reader *r, struct err *err)
{
	const char *text = archive_error_string(r->archive);

	if (r->read_err.kind) {
		*err = r->read_err;
		return r->path[0] ? err_context(err, "after entry \"%.160s\"", r->path) : -1;
	}
	return err_set(err, ERR_FORMAT, "the archive is broken%s%.160s: %.200s",
	               r->path[0] ? " after entry " : "", r->path, text ? text : "unknown reason");
}

/* ---- what libarchive calls ---- */

static la_ssize_t give(struct archive *archive, void *ctx, const void **out_bytes)
{
	struct entry_reader *r = ctx;
	size_t size;
	int result;

	if (r->is_header && !r->header_left)
		result = err_set(&r->read_err, ERR_LIMIT,
		                 "what describes the entries is larger than it may be (%d KiB)",
		                 HEADER_BYTES_MAX >> 10);
	else
		result = r->stream ? stream_read(r->stream, out_bytes, &size, &r->read_err)
		                   : proven_next(r->file, out_bytes, &size, &r->read_err);
	if (result) {
		archive_set_error(archive, EIO, "%s", r->read_err.msg);
		return ARCHIVE_FATAL;
	}
	r->header_left -= size < r->header_left ? size : r->header_left;
	return (la_ssize_t)size;
}

/* zip alone is read so: at first from the list of its files. */
static la_int64_t seek(struct archive *archive, void *ctx, la_int64_t offset, int whence)
{
	struct entry_reader *r = ctx;
	const uint64_t from = whence == SEEK_SET   ? 0
	                      : whence == SEEK_CUR ? proven_at(r->file)
	                                           : proven_size(r->file);

	if (offset < 0 ? from < (uint64_t)-offset : (uint64_t)offset > INT64_MAX - from) {
		archive_set_error(archive, EINVAL, "it says that it goes on where nothing can be");
		return ARCHIVE_FATAL;
	}
	r->header_left = HEADER_BYTES_MAX + r->limits->entries * LISTED_BYTES_AN_ENTRY;
	proven_seek(r->file, from + (uint64_t)offset);
	return (la_int64_t)proven_at(r->file);
}

/* ---- opening ---- */

/*
 * A name that zip says to be UTF-8 is lost on libarchive when the thread's locale
 * can't have it, and "C" can't. Those of tar are bytes in "C", and stay so.
 */
static void use_utf8(struct entry_reader *r)
{
	r->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (r->utf8)
		r->before = uselocale(r->utf8);
}

/* How the file is read: in order by a thread, or as a zip archive asks for it. */
static int prepare(struct entry_reader *r, enum stream_format format, struct err *err)
{
	const struct store_limits *limits = r->limits;
	const uint64_t packed_max = limits->total_bytes + limits->entries * stream_bytes_an_entry;

	if (format == STREAM_ZIP || format == STREAM_UNKNOWN) {
		if (archive_read_set_seek_callback(r->archive, seek) != ARCHIVE_OK)
			return failed(r, err);
		use_utf8(r);
		return proven_index(r->file, r->cancel, err);
	}
	r->stream = stream_new(r->file, format, format == STREAM_TAR ? UINT64_MAX : packed_max,
	                       err);
	return r->stream ? 0 : -1;
}

static int open_archive(struct entry_reader *r, int fd, struct err *err)
{
	enum stream_format format;

	if (stream_format(fd, &format, err))
		return -1;
	r->archive = archive_read_new();
	if (!r->archive)
		return err_set_sys(err, ENOMEM, "archive reader");
	if (archive_read_support_format_tar(r->archive) != ARCHIVE_OK ||
	    archive_read_support_format_zip(r->archive) != ARCHIVE_OK)
		return failed(r, err);
	if (prepare(r, format, err))
		return -1;
	return archive_read_open(r->archive, r, NULL, give, NULL) == ARCHIVE_OK ? 0
	                                                                        : failed(r, err);
}

struct entry_reader *entry_reader_new(int fd, struct proven *file,
                                      const struct store_limits *limits,
                                      const struct cancel *cancel, const char *path,
                                      struct err *err)
{
	CLEANUP(cleanup_reader) struct entry_reader *r = calloc(1, sizeof(*r));

	if (!r) {
		(void)err_set_sys(err, ENOMEM, "archive reader");
		return NULL;
	}
	r->limits = limits;
	r->cancel = cancel;
	r->path = path;
	r->file = file;
	return open_archive(r, fd, err) ? NULL : STEAL(r);
}

void entry_reader_free(struct entry_reader *reader)
{
	if (!reader)
		return;
	if (reader->archive)
		(void)archive_read_free(reader->archive);
	stream_free(reader->stream);
	if (reader->utf8) {
		(void)uselocale(reader->before);
		freelocale(reader->utf8);
	}
	free(reader);
}

/* ---- reading ---- */

static bool is_of(const struct entry_reader *r, int format)
{
	return (archive_format(r->archive) & ARCHIVE_FORMAT_BASE_MASK) == format;
}

/* How it is packed stands in the format's name, as in "ZIP 6.3 (lzma)"; APPNOTE.TXT section 4.4.5.
 */
static int check_method(const struct entry_reader *r, const char *path, struct err *err)
{
	static const char *const fine[] = { "(uncompressed)", "(deflation)", "(bzip)" };
	const char *name = archive_format_name(r->archive);
	const char *method = name ? strchr(name, '(') : NULL;

	for (size_t i = 0; method && i < sizeof(fine) / sizeof(fine[0]); i++)
		if (!strcmp(method, fine[i]))
			return 0;
	return err_set(err, ERR_FORMAT,
	               "entry \"%.160s\" is packed by the method %s: in a zip archive it is to be "
	               "deflate or bzip2, which take little memory",
	               path, method ? method : "(?)");
}

static int check_entry(const struct entry_reader *r, struct archive_entry *entry, struct err *err)
{
	const char *path = archive_entry_pathname(entry);

	if (path)
		return is_of(r, ARCHIVE_FORMAT_ZIP) ? check_method(r, path, err) : 0;
	if (is_of(r, ARCHIVE_FORMAT_ZIP) && !r->utf8)
		return err_set(err, ERR_FORMAT,
		               "an entry after \"%.160s\" has a name beyond ASCII, and this system "
		               "has no locale C.UTF-8 to read it by",
		               r->path);
	return err_set(err, ERR_FORMAT, "an entry after \"%.160s\" has no name%s", r->path,
	               is_of(r, ARCHIVE_FORMAT_ZIP) ? " that is UTF-8, as it says" : "");
}

/*
 * Warnings about names that don't fit the locale (they stay bytes here) and
 * about access lists. Others say that a part of the header was passed over.
 */
static bool is_harmless(struct archive *archive)
{
	const char *text = archive_error_string(archive);

	return text && (strstr(text, "converted") || strstr(text, "ACL") || strstr(text, "acl"));
}

/* libarchive can take a part that it could not read for an archive's end. */
static int end_entries(struct entry_reader *r, struct err *err)
{
	if (r->read_err.kind)
		return failed(r, err);
	return r->stream ? stream_drain(r->stream, r->cancel, err) : 0;
}

/* What nobody read of a content is no part of the header that follows. */
static int next_header(struct entry_reader *r, struct archive_entry **out_entry)
{
	int result = r->is_content ? archive_read_data_skip(r->archive) : ARCHIVE_OK;

	r->is_content = false;
	if (result != ARCHIVE_OK)
		return ARCHIVE_FATAL;
	r->is_header = true;
	r->header_left = HEADER_BYTES_MAX;
	result = archive_read_next_header(r->archive, out_entry);
	r->is_header = false;
	r->is_content = result == ARCHIVE_OK || result == ARCHIVE_WARN;
	return result;
}

int entry_reader_next(struct entry_reader *reader, struct archive_entry **out_entry,
                      struct err *err)
{
	int result = next_header(reader, out_entry);

	if (cancel_check(reader->cancel, err))
		return -1;
	if (result == ARCHIVE_EOF)
		return end_entries(reader, err);
	if (result != ARCHIVE_OK && !(result == ARCHIVE_WARN && is_harmless(reader->archive)))
		return failed(reader, err);
	return check_entry(reader, *out_entry, err) ? -1 : 1;
}

int entry_reader_block(struct entry_reader *reader, const void **out_bytes, size_t *out_size,
                       uint64_t *out_offset, struct err *err)
{
	la_int64_t offset;
	int result = archive_read_data_block(reader->archive, out_bytes, out_size, &offset);

	if (result == ARCHIVE_EOF)
		return 0;
	/* Here a warning is about a checksum or a size (of zip). */
	if (result != ARCHIVE_OK)
		return failed(reader, err);
	if (offset < 0)
		return err_set(err, ERR_FORMAT, "entry \"%.160s\" overlaps itself", reader->path);
	*out_offset = (uint64_t)offset;
	return 1;
}

bool entry_reader_has_gaps(const struct entry_reader *reader)
{
	return is_of(reader, ARCHIVE_FORMAT_TAR);
}
