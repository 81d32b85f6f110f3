/* The access log: a line for each request. */
#ifndef SPECMAN_ACCESS_LOG_H
#define SPECMAN_ACCESS_LOG_H

#include "http_request.h"

/* An answer is written (or was given up before its end). */
void access_log_write(const struct request *request, bool is_complete);

#endif
