/* specman: see README.md. */
#include <unistd.h>

#include "commands.h"

int main(int argc, char **argv)
{
	return command_run(argv + (argc > 0), environ);
}
