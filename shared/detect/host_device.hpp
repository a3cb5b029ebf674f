// SPDX-License-Identifier: Apache-2.0
/// Marks a task function that g++, clang and nvcc compile alike.
#pragma once

#ifdef __CUDACC__
#define LAPWING_HOST_DEVICE __host__ __device__
#else
#define LAPWING_HOST_DEVICE
#endif
