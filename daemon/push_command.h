/* specman push: a folder, or an archive that is there, becomes a tag of a registry. */
#ifndef SPECMAN_PUSH_COMMAND_H
#define SPECMAN_PUSH_COMMAND_H

#include "config.h"

/*
 * Operands: HOST[:PORT]/NAME:TAG, and a folder or an archive. Returns an exit
 * code (commands.h); EXIT_DONE once the registry gives back what was sent.
 */
int push_command(const struct config *config);

#endif
