// SPDX-License-Identifier: Apache-2.0
/// SQLite's file system with one fault in it: the Nth write or sync fails.
#pragma once

namespace lapwing::testing {

enum class Fault {
  io_write,   ///< a write fails
  full,       ///< the disk is full at a write
  sync,       ///< a sync fails; what was written stays readable
  torn_sync,  ///< a sync fails and half of the newest write is lost
};

/// Makes itself SQLite's default file system when first used. One per process.
/// Threads: arm and fired from one thread; SQLite from any.
class FaultyVfs {
 public:
  static void install();
  /// The `nth` (from 1) matching call from now on fails; `times` in a row.
  static void arm(Fault fault, int nth, int times = 1);
  static void disarm();
  /// How often it failed since arm().
  static int fired();
};

}  // namespace lapwing::testing
