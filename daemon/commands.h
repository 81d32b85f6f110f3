/* The command line: which command, and its exit code. */
#ifndef SPECMAN_COMMANDS_H
#define SPECMAN_COMMANDS_H

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NOTHING = 3 };

/* Run what the arguments (argv without the program's name, ending with NULL) say. */
int command_run(char *const *args, char *const *environment);

#endif
