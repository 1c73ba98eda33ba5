#include "cistern.h"

const char *cistern_status_text(cistern_status status) {
  switch (status) {
    case CISTERN_OK: return "success";
    case CISTERN_INVALID_ARGUMENT: return "an argument is outside its documented range";
    case CISTERN_CAPACITY_TOO_SMALL: return "the capacity is below 1 MiB";
    case CISTERN_CAPACITY_TOO_LARGE: return "the capacity is above 128 GiB";
    case CISTERN_RESERVATION_REFUSED: return "the system refused to reserve the capacity";
    case CISTERN_COMMIT_REFUSED: return "the system refused to make the heap's first pages usable";
    case CISTERN_TOO_MANY_HEAPS: return "4096 heaps are alive in this process";
  }
  return "unknown status";
}
