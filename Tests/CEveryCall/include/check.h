// What the programs check, in C11 and in C++17.
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

// Ends the program with a line unless something holds.
static inline void check(int line, bool holds) {
  if (holds) return;
  fprintf(stderr, "line %d: does not hold\n", line);
  exit(1);
}

#endif
