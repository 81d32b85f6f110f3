/* Being stopped; see interrupt.h. */
#include "interrupt.h"

#include <signal.h>

/* What a signal's handler can reach. */
static struct cancel *stop_request;

static void on_signal(int number)
{
	(void)number;
	cancel_raise(stop_request);
}

void interrupt_begin(struct cancel *cancel)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	stop_request = cancel;
	(void)sigemptyset(&action.sa_mask);
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

void interrupt_end(void)
{
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
}
