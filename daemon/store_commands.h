/*
 * The commands that look into the store: ls, cat, verify, export, history; and
 * gc, which has it swept. All but gc only read, and none disturbs a daemon on
 * the same data directory; each returns an exit code (commands.h).
 */
#ifndef SPECMAN_STORE_COMMANDS_H
#define SPECMAN_STORE_COMMANDS_H

#include "config.h"

int ls_command(const struct config *config);
int cat_command(const struct config *config);
int verify_command(const struct config *config);
int export_command(const struct config *config);
int history_command(const struct config *config);
int gc_command(const struct config *config);

#endif
