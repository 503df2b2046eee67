#include "kubelet/server/attached.h"

namespace rusternetes::kubelet {

Task<> Attachments::drain(std::shared_ptr<Entry> entry) {
  const auto ignore = [](engine::StdStream, std::string_view) {};
  for (;;) {
    auto piece = co_await entry->attachment->session->stream().read_some();
    if (!piece || piece->empty()) break;
    if (!entry->attachment->session->has_tty() && !entry->attachment->decoder.feed(*piece, ignore)) break;
  }
  entry->has_ended = true;
  entry->attachment.reset();  // the container has ended: nobody can go on with it
}

void Attachments::keep(std::string container_id, std::unique_ptr<Attachment> attachment) {
  std::erase_if(waiting_, [](const auto& one) { return one.second->has_ended; });
  auto entry = std::make_shared<Entry>(executor_);
  entry->attachment = std::move(attachment);
  waiting_.emplace(std::move(container_id), entry);
  entry->tasks.spawn("attachment", drain(entry));
}

Task<std::unique_ptr<Attachment>> Attachments::take(std::string container_id) {
  std::erase_if(waiting_, [](const auto& one) { return one.second->has_ended; });
  auto found = waiting_.extract(container_id);
  if (!found) co_return nullptr;
  const auto entry = found.mapped();
  // Its drain ends in a task that the taker's cancellation does not reach: it may be in the middle of a read.
  const auto taking = std::make_shared<Taking>(executor_);
  tasks_.spawn("attachment taken", release(container_id, entry, taking));
  try {
    while (!taking->is_done) co_await taking->done.wait();
  } catch (...) {
    taking->is_given_up = true;
    if (taking->attachment) keep(std::move(container_id), std::move(taking->attachment));
    throw;
  }
  co_return std::move(taking->attachment);
}

Task<> Attachments::release(std::string container_id, std::shared_ptr<Entry> entry, std::shared_ptr<Taking> taking) {
  co_await entry->tasks.stop();
  if (taking->is_given_up && entry->attachment) keep(std::move(container_id), std::move(entry->attachment));
  taking->attachment = std::move(entry->attachment);
  taking->is_done = true;
  taking->done.set();
}

Task<> Attachments::stop() {
  co_await tasks_.stop();
  const auto all = std::move(waiting_);
  waiting_.clear();
  for (const auto& [id, entry] : all) co_await entry->tasks.stop();
}

}  // namespace rusternetes::kubelet
