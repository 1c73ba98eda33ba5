// What the programs check, in C11 and in C++17.
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>

// Ends the program with a line unless something holds.
static inline void check_at(bool holds, const char *what, const char *file, int line) {
  if (holds) return;
  fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
  exit(1);
}

#define CHECK(condition) check_at((condition), #condition, __FILE__, __LINE__)

#endif
