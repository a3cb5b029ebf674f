// SPDX-License-Identifier: Apache-2.0
/// Gives devices their next certificate, over the connection that the last one opened.
#pragma once

#include "hub/fleet/authorities.hpp"
#include "hub/fleet/config.hpp"
#include "hub/store/store.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/wire/certificates.hpp"
#include "shared/wire/frame.hpp"
#include "shared/wire/topics.hpp"

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace lapwing::hub {

/// Who asks is whose topic it is: the broker lets a device write only its own, and a certificate is
/// given for that name alone, to a device that is registered and not revoked. The same request gets
/// the same certificate again, on any replica, so that a lost answer costs nothing.
///
/// While there are two authorities, devices that are online and hold a certificate of the earlier
/// one are told to renew, spread over `[certificates] move_within`.
///
/// Bounds: kWaitingMax requests of at most 64 KiB wait, further ones are dropped and counted (the
/// device asks again); kEachMax certificates in an hour (or a certificate's lifetime, if that is
/// shorter) and device, further requests are refused.
/// Threads: ask() from any; the rest from one. A thread of its own answers.
class Renewals {
 public:
  /// Publishes a frame to a device on this replica's broker; false: the broker is away. From any
  /// thread.
  using Send = std::function<bool(const wire::Identity& device, std::string_view frame)>;
  static constexpr std::size_t kWaitingMax = 200;
  static constexpr std::size_t kEachMax = 5;

  /// Borrows store, authorities and metrics, which must outlive it.
  Renewals(const CertificatesConfig& config, Store& store, const Authorities& authorities,
           Metrics& metrics, Send send);
  ~Renewals();
  Renewals(const Renewals&) = delete;
  Renewals& operator=(const Renewals&) = delete;

  void start();
  void stop();
  /// Never blocks. `frame`: as it came from the broker.
  void ask(const wire::Identity& device, std::string_view frame);

  /// What a request is answered with.
  wire::CertificateAnswer answer(const DeviceKey& key, const wire::CertificateRequest& request,
                                 Time at);

 private:
  struct Waiting {
    wire::Identity device;
    std::string frame;
  };

  void run();
  void handle(const Waiting& one);
  bool move_devices();
  bool within_rate(const DeviceKey& key, Time at);
  Result<wire::CertificateAnswer> issue(const DeviceKey& key,
                                        const wire::CertificateRequest& request, Time at);
  [[nodiscard]] Micros window() const;

  CertificatesConfig config_;
  Store& store_;
  const Authorities& authorities_;
  Send send_;
  wire::FrameReader reader_;
  wire::FrameWriter writer_;
  std::map<DeviceKey, std::vector<Time>> given_;
  Ticks next_move_{};

  Counter& issued_;
  Counter& refused_;
  Counter& dropped_;
  Gauge& to_move_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Waiting> waiting_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace lapwing::hub
