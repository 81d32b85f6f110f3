/* Folders of this module's own that are to vanish with all below them. */
#ifndef SPECMAN_STORAGE_REMOVE_TREE_H
#define SPECMAN_STORAGE_REMOVE_TREE_H

/* What can't be removed stays; links are not followed. */
void remove_tree(const char *path);

#endif
