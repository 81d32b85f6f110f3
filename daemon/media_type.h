/* Content-Type by the ending of a file's name. */
#ifndef SPECMAN_MEDIA_TYPE_H
#define SPECMAN_MEDIA_TYPE_H

/* Never NULL; application/octet-stream for endings that are not known. Case does not matter. */
const char *media_type_of(const char *name);

#endif
