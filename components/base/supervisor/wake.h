#pragma once
// When a child that does its work and ends is to run again: it says so itself, into a pipe, since a disk that
// is full must not make it run without a pause; and a timer of the real-time clock waits, which goes on while
// the host sleeps.

class Wake {
 public:
  // False with errno set.
  bool open();
  // In the child: a descriptor that stays open over exec. Each line that is written to it is a time, in
  // seconds since 1970, and the last one counts. -1 with errno set.
  int give() const;
  // Forgets what an earlier child has said.
  void clear();
  // Takes what the child has said and waits for that time, which is at least a second away. 0: it said
  // nothing, or there is no timer.
  long arm();
  // What to wait for; -1 without open(). Readable once the time has come, or the host's clock was set, which
  // a child may have to think over.
  int source() const { return timer_; }
  void take_over();

 private:
  int reading_ = -1, writing_ = -1, timer_ = -1;
};
