# SPDX-License-Identifier: Apache-2.0
# Toolchain: builds for aarch64 on another Debian machine, with its cross compiler. LAPWING_SYSROOT is a folder with
# the arm64 packages of packaging/install-packages.sh unpacked (tests/cross/aarch64.sh makes one); tests run in QEMU.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L ${LAPWING_SYSROOT})
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES LAPWING_SYSROOT)

set(CMAKE_SYSROOT ${LAPWING_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${LAPWING_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR}
  ${LAPWING_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${LAPWING_SYSROOT}/usr/lib/pkgconfig:${LAPWING_SYSROOT}/usr/share/pkgconfig)
