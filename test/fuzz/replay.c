/*
 * Runs a harness over each file of its corpus, without libFuzzer: what was
 * found once stays found. CORPUS is the folder.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int main(int argc, char **argv)
{
	const char *corpus = argc > 1 ? argv[1] : CORPUS;
	DIR *dir = opendir(corpus);
	const struct dirent *entry;
	unsigned count = 0;

	if (!dir) {
		perror(corpus);
		return 1;
	}
	while ((entry = readdir(dir))) {
		CLEANUP(buf_release) struct buf bytes = BUF_INIT((size_t)16 << 20);
		struct err err;

		if (entry->d_name[0] == '.')
			continue;
		if (io_read_file(dirfd(dir), entry->d_name, &bytes, &err)) {
			(void)fprintf(stderr, "%s\n", err.msg);
			return 1;
		}
		(void)LLVMFuzzerTestOneInput((const uint8_t *)buf_text(&bytes), bytes.size);
		count++;
	}
	(void)closedir(dir);
	/* As the unit tests say it, for those who count. */
	(void)printf("[  PASSED  ] %u test(s).\n", count);
	return count ? 0 : 1;
}
