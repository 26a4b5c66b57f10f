// The generated text includes this name; the 16-bit types are the emulator's.
#include "cuda_emulator.h"
