#include <stdio.h>
#include <libpq-fe.h>
#include <zlib.h>
#include "greet.h"

/* report says which libraries it runs with, and what its settings are. */
int main(int argc, char **argv) {
	char line[256] = "";
	FILE *f = fopen("/usr/local/etc/report.conf", "r");
	if (!f || !fgets(line, sizeof line, f)) {
		perror("/usr/local/etc/report.conf");
		return 1;
	}
	printf("%s from libpq %d and zlib %s, %d arguments, %s", greeting(), PQlibVersion(), zlibVersion(), argc - 1, line);
	return 0;
}
