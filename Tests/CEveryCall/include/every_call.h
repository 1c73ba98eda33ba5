// Every call of cistern.h with sound and with unsound arguments, in C11 that is C++17, too.
#ifndef EVERY_CALL_H
#define EVERY_CALL_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

// Ends the process with a line and exit code 1 when an answer is not as documented. Changes the environment variable SKIP_CAPACITY.
// has_whole_address_range: false under tools that keep some of it, where a refusal for want of addresses looks different.
void every_call(bool has_whole_address_range);

#ifdef __cplusplus
}
#endif
#endif
