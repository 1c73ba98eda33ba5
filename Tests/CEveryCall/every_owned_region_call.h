// The part of every_call about named regions with memory.
#ifndef EVERY_OWNED_REGION_CALL_H
#define EVERY_OWNED_REGION_CALL_H

#include <cistern.h>

#ifdef __cplusplus
extern "C" {
#endif

void every_owned_region_call(cistern_heap *heap);
void every_end_of_a_directory(cistern_heap *heap);

#ifdef __cplusplus
}
#endif
#endif
