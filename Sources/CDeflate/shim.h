#include <libdeflate.h>
#include "crc32_fold.h"
