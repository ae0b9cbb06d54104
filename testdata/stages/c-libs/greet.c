#include <stdlib.h>
#include "greet.h"

const char *greeting(void) {
	const char *set = getenv("GREETING");
	return set ? set : "Good day";
}
