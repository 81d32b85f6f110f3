/* The command `specman sync`: one round, and an exit code. */
#ifndef SPECMAN_SYNC_COMMAND_H
#define SPECMAN_SYNC_COMMAND_H

#include "config.h"

/*
 * Have the daemon of the data directory go a round at once, or go one here
 * when there is none. Returns the exit code (commands.h): EXIT_DONE,
 * EXIT_FAILED when anything failed, EXIT_NOTHING when no registry is named yet
 * or there is nothing to serve yet. SIGINT and SIGTERM end the command, in order
 * when it goes the round itself, and never the daemon.
 */
int sync_command(const struct config *config);

#endif
