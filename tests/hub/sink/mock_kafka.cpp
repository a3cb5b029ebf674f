// SPDX-License-Identifier: Apache-2.0
#include "tests/hub/sink/mock_kafka.hpp"

#include <array>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdexcept>

namespace lapwing::testing {
namespace {

constexpr int kBrokers = 3;
constexpr int kPartitions = 4;
constexpr int kProduceRequest = 0;

rd_kafka_t* make(rd_kafka_type_t type, const std::vector<std::array<std::string, 2>>& settings) {
  auto* conf = rd_kafka_conf_new();
  std::array<char, 256> why{};
  for (const auto& [name, value] : settings) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), why.data(), why.size()) !=
        RD_KAFKA_CONF_OK) {
      throw std::runtime_error(why.data());
    }
  }
  auto* made = rd_kafka_new(type, conf, why.data(), why.size());
  if (made == nullptr) throw std::runtime_error(why.data());
  return made;
}

}  // namespace

struct MockKafka::Impl {
  rd_kafka_t* owner = nullptr;
  rd_kafka_mock_cluster_t* cluster = nullptr;
  rd_kafka_t* consumer = nullptr;
  std::mutex mutex;
  std::condition_variable grown;
  std::vector<Message> messages;
  std::jthread reader;

  void subscribe();
  void poll();
};

void MockKafka::Impl::subscribe() {
  consumer =
      make(RD_KAFKA_CONSUMER, {{"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster)},
                               {"group.id", "test"},
                               {"enable.auto.commit", "false"},
                               {"auto.offset.reset", "earliest"},
                               {"fetch.wait.max.ms", "50"},
                               {"reconnect.backoff.max.ms", "200"},
                               {"log_level", "3"}});
  auto* all = rd_kafka_topic_partition_list_new(kPartitions);
  for (int partition = 0; partition < kPartitions; ++partition) {
    rd_kafka_topic_partition_list_add(all, topic().c_str(), partition)->offset =
        RD_KAFKA_OFFSET_BEGINNING;
  }
  rd_kafka_assign(consumer, all);
  rd_kafka_topic_partition_list_destroy(all);
}

void MockKafka::Impl::poll() {
  auto* got = rd_kafka_consumer_poll(consumer, 50);
  if (got == nullptr) return;
  if (got->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
    Message message{.key = std::string(static_cast<const char*>(got->key), got->key_len),
                    .value = std::string(static_cast<const char*>(got->payload), got->len),
                    .record_class = {},
                    .partition = got->partition};
    rd_kafka_headers_t* headers = nullptr;
    const void* word = nullptr;
    std::size_t size = 0;
    if (rd_kafka_message_headers(got, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        rd_kafka_header_get_last(headers, "class", &word, &size) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      message.record_class.assign(static_cast<const char*>(word), size);
    }
    {
      const std::scoped_lock lock(mutex);
      messages.push_back(std::move(message));
    }
    grown.notify_all();
  }
  rd_kafka_message_destroy(got);
}

MockKafka::MockKafka() : impl_(std::make_unique<Impl>()) {
  impl_->owner = make(RD_KAFKA_PRODUCER, {{"log_level", "3"}});
  impl_->cluster = rd_kafka_mock_cluster_new(impl_->owner, kBrokers);
  rd_kafka_mock_topic_create(impl_->cluster, topic().c_str(), kPartitions, 1);
  impl_->subscribe();
  // All the time: its brokers keep some batches of a partition only.
  impl_->reader = std::jthread([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) impl_->poll();
  });
}

MockKafka::~MockKafka() {
  impl_->reader.request_stop();
  impl_->reader.join();
  rd_kafka_destroy(impl_->consumer);
  rd_kafka_mock_cluster_destroy(impl_->cluster);
  rd_kafka_destroy(impl_->owner);
}

std::string MockKafka::brokers() const { return rd_kafka_mock_cluster_bootstraps(impl_->cluster); }

void MockKafka::down() {
  for (int id = 1; id <= kBrokers; ++id) rd_kafka_mock_broker_set_down(impl_->cluster, id);
}

void MockKafka::up() {
  for (int id = 1; id <= kBrokers; ++id) rd_kafka_mock_broker_set_up(impl_->cluster, id);
}

void MockKafka::fail_produce(const std::vector<int>& errors) {
  std::vector<rd_kafka_resp_err_t> kinds;
  for (const int error : errors) kinds.push_back(static_cast<rd_kafka_resp_err_t>(error));
  rd_kafka_mock_push_request_errors_array(impl_->cluster, kProduceRequest, kinds.size(),
                                          kinds.data());
}

std::vector<MockKafka::Message> MockKafka::read(
    const std::function<bool(const std::vector<Message>&)>& enough, std::chrono::seconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  std::unique_lock lock(impl_->mutex);
  while (!enough(impl_->messages)) {
    if (impl_->grown.wait_until(lock, until) == std::cv_status::timeout) break;
  }
  return impl_->messages;
}

}  // namespace lapwing::testing
