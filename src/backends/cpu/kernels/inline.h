#pragma once
// Kernels are written as templates over small pieces that must vanish: no piece may become a function of its own.
#define MEGALITH_INLINE [[gnu::always_inline]] static inline
#define MEGALITH_INLINE_LAMBDA __attribute__((always_inline))
