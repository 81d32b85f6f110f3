/* Values that are fine each, and can't be together. */
#ifndef SPECMAN_CONFIG_CHECK_H
#define SPECMAN_CONFIG_CHECK_H

#include "config.h"

/* The whole configuration, with its defaults. ERR_CONFIG names the flags and what to do. */
MUST_CHECK int config_check(const struct config *config, struct err *err);

#endif
