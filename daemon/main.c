/* specman: see README.md. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "commands.h"

/*
 * Where a standard stream is closed, the next file that is opened gets its number, and the log
 * would be written into the store. What stands in can be neither read nor written, so that a
 * command still sees that its output is lost.
 */
static int occupy_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/", O_PATH) != fd)
			return -1;
	return 0;
}

int main(int argc, char **argv)
{
	if (occupy_standard_streams())
		return EXIT_FAILED;
	return command_run(argv + (argc > 0), environ);
}
