"""Classes, method calls, exceptions, generators: a simulation of workers that pass each other tasks."""


class Worker:
    def __init__(self, number):
        self.number = number
        self.queue = []
        self.done = 0

    def accept(self, task):
        if task.left <= 0:
            raise ValueError("nothing left to do")
        self.queue.append(task)

    def step(self, workers):
        if not self.queue:
            return 0
        task = self.queue.pop()
        task.work(self.number)
        self.done += 1
        try:
            workers[task.following(len(workers))].accept(task)
        except ValueError:
            return task.value
        return 0


class Task:
    def __init__(self, value, left):
        self.value = value
        self.left = left

    def work(self, number):
        self.value = (self.value * 31 + number) % 1000003
        self.left -= 1

    def following(self, count):
        return self.value % count


class LongTask(Task):
    def following(self, count):
        return (super().following(count) + self.left) % count


def tasks(count):
    for n in range(count):
        yield (LongTask if n % 3 == 0 else Task)(n * 7919, 20 + n % 30)


workers = [Worker(n) for n in range(11)]
for n, task in enumerate(tasks(12000)):
    workers[n % len(workers)].accept(task)
total = 0
while any(worker.queue for worker in workers):
    for worker in workers:
        total = (total + worker.step(workers)) % 1000003
print(total, [worker.done for worker in workers])
