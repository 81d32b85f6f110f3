/*
 * Any bytes as a release's file, once as they are and once with the hash that
 * they would need: reading ends, and says what is wrong.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "storage/release.h"

static int put(void *ctx, const char *path, const struct tree_item *item, struct err *err)
{
	MUST(item->kind == TREE_FILE || !item->twin_size);
	return tree_put(ctx, path, item, err);
}

static void read_back(const char *bytes, size_t size)
{
	struct store_release info;
	struct tree *tree;
	struct err err;

	MUST(!io_replace_file(fuzz_store()->releases, "1.0.0.mtree", bytes, size, 0640, &err));
	tree = tree_new(10000, &err);
	MUST(tree);
	if (release_read(fuzz_store(), "1.0.0", &info, put, tree, &err))
		MUST(err.kind == ERR_FORMAT || err.kind == ERR_LIMIT);
	else
		MUST(!strcmp(info.tag, "1.0.0"));
	tree_free(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT((size_t)16 << 20);
	struct digest digest;
	char hex[DIGEST_TEXT_SIZE];
	struct err err;

	read_back((const char *)bytes, size);
	MUST(!buf_add(&text, bytes, size, &err));
	MUST(!digest_of(DIGEST_SHA256, bytes, size, &digest, &err));
	MUST(!buf_addf(&text, &err, "# end sha256:%s\n", digest_hex(&digest, hex)));
	read_back(text.data, text.size);
	return 0;
}
