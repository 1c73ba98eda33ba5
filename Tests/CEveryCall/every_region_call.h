// The part of every_call about regions.
#ifndef EVERY_REGION_CALL_H
#define EVERY_REGION_CALL_H

#ifdef __cplusplus
extern "C" {
#endif

void every_region_call(void);

#ifdef __cplusplus
}
#endif
#endif
