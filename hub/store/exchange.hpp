// SPDX-License-Identifier: Apache-2.0
/// What regions tell one another: a hub gives its own rows away page by page, and keeps those of
/// others beside its own.
///
/// Of each kind a region gives away only what it holds by itself, never what it took from others:
/// who wants to know all regions asks each of them. Rows are merged by a rule that knows no order
/// of arrival (see take): a page that comes twice, late, or from two regions changes nothing more.
#pragma once

#include "hub/store/store.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/wire/messages.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace lapwing::hub {

/// In the order in which they are taken: anomalies need their devices.
enum class ExchangeKind : std::uint8_t { devices, ledgers, anomalies };
/// In the order of ExchangeKind, as in addresses.
inline constexpr std::array<std::string_view, 3> kExchangeKinds{"devices", "ledgers", "anomalies"};

/// Who may connect: a device as it was enrolled. One that is revoked says so.
struct ExchangedDevice {
  std::string device;
  Time enrolled_at{};
  std::string certificate_serial;
  std::optional<Time> certificate_expires;
  std::optional<Time> revoked_at;
  friend bool operator==(const ExchangedDevice&, const ExchangedDevice&) = default;
};

/// The account of a device that was heard of in the region, and how it is there.
struct ExchangedLedger {
  std::string device;
  DeviceStatus status = DeviceStatus::offline;
  std::optional<Time> last_seen;
  std::string agent_version;
  std::uint64_t epoch = 0;
  std::uint64_t watermark = 0;
  Ledger ledger;
  std::uint64_t streams = 0;
  std::uint64_t readings_total = 0;
  std::uint64_t outbox_records = 0;
  std::uint64_t outbox_bytes = 0;
  std::uint64_t quarantined_total = 0;
};

/// An anomaly as of its newest step, and which record that was.
struct ExchangedAnomaly {
  std::string device;
  std::uint64_t epoch = 0;
  std::uint64_t seq = 0;
  wire::AnomalyRecord record;
  Time received_at{};  ///< hub time of the first record
  Time updated_at{};   ///< hub time of the newest one
};

/// Of one kind. In the order of ExchangeKind.
using ExchangedRow = std::variant<ExchangedDevice, ExchangedLedger, ExchangedAnomaly>;

struct ExportRequest {
  std::string cursor;  ///< `next` of the page before; empty: from the beginning. Else bad_input
  std::size_t rows_max = 500;                     ///< brought inside [1, 1000]
  std::size_t bytes_max = std::size_t{4} << 20U;  ///< of the rows' texts; one row may exceed it
};

struct ExportPage {
  std::vector<ExchangedRow> rows;
  /// What to ask with next. Of devices and ledgers it is empty at the end of the list: they are
  /// read over and over. Of anomalies it leads to what changes from now on.
  std::string next;
  bool more = false;  ///< there is more at once
};

/// A region whose rows are taken, as it is called here, and the tenant they are of.
struct Peer {
  std::string tenant;
  std::string region;
  friend auto operator<=>(const Peer&, const Peer&) = default;
};

/// What became of a page.
struct Merged {
  std::uint64_t changed = 0;
  std::uint64_t known = 0;            ///< changed nothing
  std::uint64_t unknown_devices = 0;  ///< rows of devices that are not known here: passed over
  std::uint64_t feed_newest = 0;      ///< the live feed grew up to here; 0: it did not
};

/// A region of which something was taken.
struct RegionRow {
  std::string region;
  std::optional<Time> complete_at;  ///< all that it had to tell at that time is here
};

/// Errors: io, corrupt, bad_input, as of every function of Store. Threads: as Store.
class Exchange {
 public:
  virtual ~Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// A page of what this region tells of a tenant. Anomalies come first by their onset, then, as
  /// they change, in the order of the live feed, each as it is now; a reader that goes on from
  /// `next` misses none. Where the feed no longer reaches back to the cursor, or the store was set
  /// back behind it, all come again.
  virtual Result<ExportPage> page(std::string_view tenant, ExchangeKind kind,
                                  const ExportRequest& request) = 0;

  /// Merges rows of one kind, and with them keeps `cursor`, in one transaction.
  /// - devices: a later enrolment replaces; of the same enrolment a revocation, then a certificate
  ///   that lasts longer. A device that is new here may connect here from now on.
  /// - ledgers: replace what the region told of the device before.
  /// - anomalies: as records (see AnomalyRow); what changes enters the live feed once.
  /// Of a device that is not known here: not_found, and nothing was changed; or the row is passed
  /// over when `pass_unknown`.
  virtual Result<Merged> take(const Peer& peer, ExchangeKind kind,
                              std::span<const ExchangedRow> rows,
                              const std::optional<std::string>& cursor, bool pass_unknown,
                              Time at) = 0;

  /// What take() kept last; empty: nothing.
  virtual Result<std::string> cursor(const Peer& peer, ExchangeKind kind) = 0;
  /// Everything the region had at `at` was taken.
  virtual Result<void> complete(const Peer& peer, Time at) = 0;

  virtual Result<std::vector<RegionRow>> regions(std::string_view tenant) = 0;  ///< by name
  /// The account of a device in this region (an empty name; absent: it was never heard of here),
  /// then what others told of it, by region. not_found: no such device.
  virtual Result<std::vector<std::pair<std::string, ExchangedLedger>>> ledgers(
      const DeviceKey& key) = 0;

 protected:
  Exchange() = default;
};

}  // namespace lapwing::hub
