/* main.c - the stock rmsd: an app without routes of its own, so that it answers what rmsd.conf says. */
#include <rms/rms.h>

static const struct rms_app app = { .name = "rmsd" };

int main(int argc, char **argv)
{
	return rms_main(argc, argv, &app);
}
