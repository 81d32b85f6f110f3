/* Removing folders; see remove_tree.h. */
#include "remove_tree.h"

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

enum { FTW_FOLDERS = 16 };

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	(void)remove(path);
	return 0;
}

void remove_tree(const char *path)
{
	(void)nftw(path, remove_one, FTW_FOLDERS, FTW_DEPTH | FTW_PHYS);
}
