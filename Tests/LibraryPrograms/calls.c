// Every call of the installed library. Usage: calls [partial], under tools that keep some of the address range.
#include <stdio.h>

#include "every_call.h"

int main(int argc, char **argv) {
  (void)argv;
  every_call(argc == 1);
  puts("every call answered as documented");
  return 0;
}
