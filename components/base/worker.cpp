#include "base/worker.h"

#include <pthread.h>

#include <stdexcept>

namespace rusternetes {

WorkerThread::WorkerThread(std::string name, std::size_t queue_limit, std::function<void()> prologue)
    : queue_limit_(queue_limit) {
  thread_ = std::thread([this, name = std::move(name), prologue = std::move(prologue)] {
    ::pthread_setname_np(::pthread_self(), name.substr(0, 15).c_str());
    if (prologue) prologue();
    loop();
  });
}

WorkerThread::~WorkerThread() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void WorkerThread::post(std::function<void()> job) {
  {
    std::lock_guard lock(mutex_);
    if (queue_.size() >= queue_limit_) throw std::length_error("worker queue is full");
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void WorkerThread::loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    auto job = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
  }
}

}  // namespace rusternetes
