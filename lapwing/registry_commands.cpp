// SPDX-License-Identifier: Apache-2.0
#include "lapwing/registry_commands.hpp"

#include "lapwing/support.hpp"
#include "shared/base/files.hpp"
#include "shared/model/model.hpp"
#include "shared/release/signed.hpp"
#include "shared/trust/token.hpp"

#include <algorithm>
#include <optional>
#include <ostream>
#include <utility>

namespace lapwing::cli {
namespace {

namespace fs = std::filesystem;

bool is_digest(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<Json> json_of(const Result<http::Response>& response, unsigned status = 200) {
  if (!response) return response.error();
  if (response->status != status) return Hub::refusal(*response);
  auto json = Json::parse(response->body, nullptr, false);
  if (!json.is_object()) return Hub::not_a_hub();
  return json;
}

std::string file_at(const std::string& sha256) { return "/api/v1/model-files/" + sha256; }
std::string versions_at(const std::string& model) {
  return "/api/v1/models/" + http::percent_encode(model) + "/versions";
}

/// Those that are to be brought with the file.
std::vector<fs::path> manifests_of(const PushCommand& command) {
  if (!command.manifests.empty()) return command.manifests;
  std::vector<fs::path> found;
  for (const auto* ending : {".manifest", ".undo.manifest"}) {
    auto path = fs::path(command.file).replace_extension(ending);
    std::error_code failed;
    if (fs::exists(path, failed)) found.push_back(std::move(path));
  }
  return found;
}

/// The row of a file that is at the hub by the end.
Result<Json> bring_file(const Hub& hub, const PushCommand& command, std::ostream& err) {
  const auto model = model::Model::open(command.file);
  if (!model) return model.error();
  const auto sha256 = model->sha256();
  const auto known = hub.get(file_at(sha256));
  if (!known || known->status != 404) return json_of(known);
  const auto id = upload(hub, command.file.filename().string(), model->file_bytes(), err);
  if (!id) return id.error();
  return json_of(hub.post("/api/v1/model-files", Json{{"upload", *id}}.dump()), 201);
}

Result<Json> bring_version(const Hub& hub, const fs::path& file) {
  auto bytes = read_file(file, release::kSignedBytesMax);
  if (!bytes) return bytes.error();
  const auto document = release::Signed::decode(*bytes);
  if (!document) return within(file.string(), Error(document.error()));
  const auto* const manifest = std::get_if<release::Manifest>(&document->document());
  if (manifest == nullptr) return Error{Errc::bad_input, file.string() + ": no manifest"};
  return json_of(hub.post(versions_at(manifest->model), *std::move(bytes)), 201);
}

std::vector<std::string> model_row(const Json& m) {
  const auto newest = m.value("newest", Json::object());
  return {text(m, "model"),
          number(newest, "number"),
          number(m, "versions"),
          text(newest, "device_class"),
          instant(newest, "created_at"),
          text(newest, "sha256").substr(0, 16)};
}

std::vector<std::string> file_row(const Json& f) {
  return {text(f, "sha256").substr(0, 16), text(f, "kind"),  number(f, "length"),
          instant(f, "created_at"),        number(f, "job"), text(f, "created_by")};
}

std::vector<std::string> version_row(const Json& v) {
  return {number(v, "number"), text(v, "device_class"), instant(v, "created_at"),
          text(v, "created_by"), text(v, "sha256")};
}

void print_file(const Json& file, std::ostream& out) {
  const auto header = file.value("header", Json::object());
  const auto lineage = header.value("lineage", Json::object());
  out << text(file, "sha256") << ", " << number(file, "length") << " bytes, " << text(file, "kind")
      << ", trained on " << number(lineage, "rows") << " rows by "
      << printable(text(lineage, "tool")) << '\n';
  Table table({{"SENSOR"}, {"UNIT"}, {"MEAN", true, 0}, {"LEAST", true, 0}, {"GREATEST", true, 0}});
  for (const auto& s : header.value("sensors", Json::array())) {
    table.add({text(s, "name"), text(s, "unit"), number(s, "mean"), number(s, "least"),
               number(s, "greatest")});
  }
  out << table.text(terminal_width());
  const auto report = file.value("report", Json());
  if (!report.is_object()) return;
  out << number(report, "held_out_rows") << " rows held out";
  if (report.value("held_out_above", Json()).is_number()) {
    out << ", of which a share of " << number(report, "held_out_above")
        << " scores above 99 % of those trained on";
  }
  if (const auto alarms = report.value("alarms", Json()); alarms.is_object()) {
    out << "; alarms in them: " << number(alarms, "raised") << ", expected "
        << number(alarms, "expected");
  }
  out << '\n';
}

/// The content, whole and as its name says.
Result<std::string> fetch_file(const Hub& hub, const std::string& sha256) {
  const auto row = json_of(hub.get(file_at(sha256)));
  if (!row) return row.error();
  const auto length = row->value("length", std::uint64_t{0});
  std::string bytes;
  while (bytes.size() < length) {
    const auto piece = hub.get(file_at(sha256) + "/content?offset=" + std::to_string(bytes.size()));
    if (!piece) return piece.error();
    if (piece->status != 200) return Hub::refusal(*piece);
    if (piece->body.empty() || bytes.size() + piece->body.size() > length) return Hub::not_a_hub();
    bytes += piece->body;
  }
  if (trust::sha256_hex(bytes) != sha256) {
    return Error{Errc::corrupt, "what the hub sent is not the file " + sha256};
  }
  return bytes;
}

/// The version that is meant, by the model's name.
Result<Json> find_version(const Hub& hub, const std::string& model, std::uint64_t wanted) {
  const auto versions = hub.list(versions_at(model), {}, 0);
  if (!versions) return versions.error();
  for (const auto& version : *versions) {
    if (wanted == 0 || version.value("number", std::uint64_t{0}) == wanted) return version;
  }
  return Error{Errc::not_found, "the hub has no such version of " + model};
}

}  // namespace

int run_model_push(const PushCommand& command, std::ostream& out, std::ostream& err) {
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  const auto file = bring_file(*hub, command, err);
  if (!file) return fail(err, file.error());
  if (command.json) print_json(*file, out);
  if (!command.json) {
    out << text(*file, "sha256") << ": " << number(*file, "length") << " bytes of "
        << text(*file, "kind") << '\n';
  }
  const auto manifests = manifests_of(command);
  for (const auto& manifest : manifests) {
    const auto version = bring_version(*hub, manifest);
    if (!version) return fail(err, version.error());
    if (command.json) print_json(*version, out);
    if (!command.json) {
      out << "version " << number(*version, "number") << " of " << text(*version, "model") << '\n';
    }
  }
  if (manifests.empty()) {
    err << "lapwing: note: no manifest beside it; `lapwing model sign` makes a version of it\n";
  }
  return 0;
}

int run_keys_push(const fs::path& file, std::ostream& out, std::ostream& err) {
  auto bytes = read_file(file, release::kSignedBytesMax);
  if (!bytes) return fail(err, bytes.error());
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  const auto list = json_of(hub->post("/api/v1/keys", *std::move(bytes)), 201);
  if (!list) return fail(err, list.error());
  out << "key list " << number(*list, "number") << ", until " << instant(*list, "expires_at")
      << '\n';
  return 0;
}

int run_model_list(const ModelListCommand& command, std::ostream& out, std::ostream& err) {
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  if (command.files) {
    return print_list(hub->list("/api/v1/model-files", {}, 0), command.json,
                      {{"SHA-256", false, 0},
                       {"DETECTOR"},
                       {"BYTES", true, 0},
                       {"SINCE (UTC)", false, 10},
                       {"JOB", true, 0},
                       {"BY"}},
                      &file_row, out, err);
  }
  return print_list(hub->list("/api/v1/models", {}, 0), command.json,
                    {{"MODEL", false, 10},
                     {"NEWEST", true, 0},
                     {"VERSIONS", true, 0},
                     {"CLASS"},
                     {"SINCE (UTC)", false, 10},
                     {"SHA-256", false, 0}},
                    &model_row, out, err);
}

int run_model_show(const ModelShowCommand& command, std::ostream& out, std::ostream& err) {
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  if (!is_digest(command.what)) {
    const auto versions = hub->list(versions_at(command.what), {}, 0);
    if (versions && versions->empty()) {
      return fail(err, Error{Errc::not_found, "the hub has no model " + command.what});
    }
    return print_list(versions, command.json,
                      {{"VERSION", true, 0},
                       {"CLASS"},
                       {"SINCE (UTC)", false, 10},
                       {"BY"},
                       {"SHA-256", false, 0}},
                      &version_row, out, err);
  }
  const auto file = json_of(hub->get(file_at(command.what)));
  if (!file) return fail(err, file.error());
  command.json ? print_json(*file, out) : print_file(*file, out);
  return 0;
}

int run_model_pull(const PullCommand& command, std::ostream& out, std::ostream& err) {
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  auto sha256 = command.what;
  std::string manifest;
  if (!is_digest(command.what)) {
    const auto version = find_version(*hub, command.what, command.number);
    if (!version) return fail(err, version.error());
    sha256 = text(*version, "sha256");
    const auto got =
        hub->get(versions_at(command.what) + "/" + number(*version, "number") + "/manifest");
    if (!got) return fail(err, got.error());
    if (got->status != 200) return fail(err, Hub::refusal(*got));
    manifest = got->body;
  }
  const auto bytes = fetch_file(*hub, sha256);
  if (!bytes) return fail(err, bytes.error());
  const auto path = command.out.empty()
                        ? fs::path((manifest.empty() ? sha256.substr(0, 16) : command.what) + ".lw")
                        : command.out;
  if (auto done = write_file_atomic(path, *bytes); !done) return fail(err, done.error());
  out << path.string() << ": " << bytes->size() << " bytes, SHA-256 " << sha256 << '\n';
  if (manifest.empty()) return 0;
  const auto beside = fs::path(path).replace_extension(".manifest");
  if (auto done = write_file_atomic(beside, manifest); !done) return fail(err, done.error());
  out << beside.string() << ": its signed manifest\n";
  return 0;
}

}  // namespace lapwing::cli
