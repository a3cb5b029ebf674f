// SPDX-License-Identifier: Apache-2.0
#include "schemas/model_generated.h"
#include "shared/model/model.hpp"
#include "shared/model/seal.hpp"

namespace lapwing::model {
namespace {

/// Room for tables, offsets and the seal.
constexpr std::uint64_t kAroundMax = 16ULL << 20;

}  // namespace

Result<std::string> encode(const Header& header, std::span<const std::byte> payload) {
  if (const auto good = check(header); !good) return good.error();
  if (payload.empty() || payload.size() > kFileBytesMax - kAroundMax) {
    return Error{Errc::limit, "a model of " + std::to_string(payload.size()) + " bytes: 1 to " +
                                  std::to_string((kFileBytesMax - kAroundMax) >> 20U) +
                                  " MiB are possible"};
  }
  flatbuffers::FlatBufferBuilder b(payload.size() + 4096);
  std::vector<flatbuffers::Offset<fbs::Sensor>> sensors;
  for (const auto& s : header.sensors) {
    const auto name = b.CreateString(s.name);  // in this order whatever the compiler
    const auto unit = b.CreateString(s.unit);
    sensors.push_back(fbs::CreateSensor(b, name, unit, s.mean, s.deviation, s.least, s.greatest,
                                        s.missing_share));
  }
  std::vector<flatbuffers::Offset<fbs::Setting>> settings;
  for (const auto& [name, value] : header.parameters) {
    settings.push_back(fbs::CreateSetting(b, b.CreateString(name), value));
  }
  const auto& c = header.calibration;
  const auto shares = b.CreateVector(c.shares);
  const auto scores = b.CreateVector(c.scores);
  const auto calibration = fbs::CreateCalibration(b, c.rows, c.held_out, shares, scores);
  const auto& l = header.lineage;
  const auto data = b.CreateString(l.data_sha256);
  const auto tool = b.CreateString(l.tool);
  const auto lineage =
      fbs::CreateLineage(b, data, l.rows, l.span ? to_micros(l.span->first) : 0,
                         l.span ? to_micros(l.span->second) : 0, l.span.has_value(), l.seed, tool);
  const auto bytes =
      b.CreateVector(reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size());
  const auto kind = b.CreateString(header.kind);
  const auto all_sensors = b.CreateVector(sensors);
  const auto all_settings = b.CreateVector(settings);
  fbs::FinishModelBuffer(
      b, fbs::CreateModel(b, 1, kind, all_sensors, all_settings, calibration, lineage, bytes));
  return sealed({reinterpret_cast<const char*>(b.GetBufferPointer()), b.GetSize()});
}

}  // namespace lapwing::model
