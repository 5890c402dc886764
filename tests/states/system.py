"""States of the process and its operating system: descriptors, files, signals, memory that is mapped."""

from states import Case

CASES = [
    Case(
        "a file at its offset, with its content",
        "f = open('offset.txt', 'w+'); f.write('ab'); f.flush()",
        "f.write('cd'); f.flush()",
        (
            "f.tell() == 2 and open('offset.txt').read() == 'ab' and (f.write('e'), f.flush(), "
            "open('offset.txt').read())[2] == 'abe'"
        ),
        files=True,
    ),
    Case(
        "what a file has not written yet",
        "f = open('buffered.txt', 'w'); f.write('ab')",
        "f.write('cd'); f.close()",
        "f.close(); open('buffered.txt').read() == 'ab'",
        files=True,
    ),
    Case(
        "a file that is read, in the middle",
        "open('lines.txt', 'w').write('1\\n2\\n3\\n'); f = open('lines.txt'); next(f)",
        "f.read()",
        "next(f) == '2\\n'",
    ),
    Case(
        "a file that is appended to",
        "f = open('log.txt', 'a'); f.write('one\\n'); f.flush()",
        "f.write('two\\n'); f.flush()",
        "f.write('three\\n'); f.flush(); open('log.txt').read() == 'one\\nthree\\n'",
        files=True,
    ),
    Case(
        "descriptors that share an offset",
        (
            "import os; open('dup.txt', 'w').write('abcdef'); a = os.open('dup.txt', os.O_RDONLY)\n"
            "b = os.dup(a); os.read(a, 2)"
        ),
        "os.read(b, 2)",
        "(os.read(a, 1), os.read(b, 1)) == (b'c', b'd')",
    ),
    Case(
        "a descriptor that is closed later",
        "import os; open('later.txt', 'w').write('abc'); fd = os.open('later.txt', os.O_RDONLY)",
        "os.close(fd)",
        "os.read(fd, 3) == b'abc'",
    ),
    Case(
        "whether a descriptor is inherited",
        "import os; fd = os.open('.', os.O_RDONLY); os.set_inheritable(fd, True)",
        "os.set_inheritable(fd, False)",
        "os.get_inheritable(fd)",
    ),
    Case(
        "an open directory",
        "import os; os.makedirs('dir'); open('dir/a', 'w').close(); fd = os.open('dir', os.O_RDONLY)",
        "os.close(fd)",
        "os.listdir(fd) == ['a']",
    ),
    Case(
        "files that are made, changed, removed and renamed",
        "for name in ('stays', 'goes', 'moves'): open(name + '.dat', 'w').write(name)",
        ("import os; open('stays.dat', 'w').write('x'); os.remove('goes.dat')\nos.rename('moves.dat', 'moved.dat')"),
        (
            "import os\n"
            "[open(n + '.dat').read() for n in ('stays', 'goes', 'moves')] == ['stays', 'goes', 'moves'] and not "
            "os.path.exists('moved.dat')"
        ),
        files=True,
    ),
    Case(
        "a database in memory, inside a transaction",
        (
            "import sqlite3; d = sqlite3.connect(':memory:'); d.execute('create table t (a)')\n"
            "d.execute('insert into t values (1)')"
        ),
        "d.rollback()",
        "d.in_transaction and d.execute('select a from t').fetchall() == [(1,)] and (d.commit(), not d.in_transaction)[1]",
    ),
    Case(
        "a database in a file, inside a transaction",
        (
            "import sqlite3; d = sqlite3.connect('own.db'); d.execute('create table t (a)')\n"
            "d.execute('insert into t values (1)')\n"
            "d.commit(); d.execute('insert into t values (2)')"
        ),
        "d.execute('insert into t values (3)'); d.commit()",
        "d.commit(); sqlite3.connect('own.db').execute('select a from t').fetchall() == [(1,), (2,)]",
        files=True,
    ),
    Case(
        "a cursor in the middle",
        (
            "import sqlite3; d = sqlite3.connect(':memory:')\n"
            "c = d.execute('with recursive n(i) as (values(1) union all select i+1 from n) select i from n')\n"
            "c.fetchone(); d.create_function('twice', 1, lambda v: 2 * v)"
        ),
        "c.fetchone()",
        "c.fetchone() == (2,) and d.execute('select twice(4)').fetchone() == (8,)",
    ),
    Case(
        "memory that is mapped, private",
        (
            "import mmap; m = mmap.mmap(-1, 8192, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS); m[:3] = b'abc'\n"
            "m.seek(2)"
        ),
        "m[:3] = b'xyz'; m.seek(0)",
        "(m[:3], m.tell()) == (b'abc', 2)",
    ),
    Case(
        "memory that is mapped, shared",
        "import mmap; m = mmap.mmap(-1, 8192); m[:3] = b'abc'",
        "m[:3] = b'xyz'",
        "m[:3] == b'abc'",
    ),
    Case(
        "memory that is mapped from a file",
        (
            "import mmap; open('map.bin', 'wb').write(bytes(8192)); f = open('map.bin', 'r+b')\n"
            "m = mmap.mmap(f.fileno(), 0)\n"
            "m[:3] = b'abc'; m.flush()"
        ),
        "m[:3] = b'xyz'; m.flush()",
        "m[:3] == b'abc' == open('map.bin', 'rb').read(3)",
        files=True,
    ),
    Case(
        "archives in the middle",
        (
            "import zipfile, gzip, io\n"
            "with zipfile.ZipFile('a.zip', 'w') as z: z.writestr('in', 'abcdef')\n"
            "z = zipfile.ZipFile('a.zip'); e = z.open('in'); e.read(2); g = gzip.open('b.gz', 'wb')\n"
            "g.write(b'one')"
        ),
        "e.read(2); g.write(b'two'); g.close()",
        "g.close(); (e.read(), gzip.open('b.gz').read()) == (b'cdef', b'one')",
        files=True,
    ),
    Case(
        "environment variables",
        "import os; os.environ['OWN'] = '1'; os.environ['GOES'] = '2'; del os.environ['GOES']",
        "os.environ['OWN'] = '3'; os.environ['GOES'] = '4'",
        ("import subprocess\nsubprocess.run('echo $OWN$GOES', shell=True, capture_output=True).stdout == b'1\\n'"),
    ),
    Case(
        "handlers of signals",
        "import signal, os; heard = []; signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))",
        "signal.signal(signal.SIGUSR1, signal.SIG_IGN)",
        "os.kill(os.getpid(), signal.SIGUSR1); heard == [1]",
    ),
    Case(
        "signals that are blocked",
        "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})",
        "signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})",
        "signal.SIGUSR2 in signal.pthread_sigmask(signal.SIG_BLOCK, ())",
    ),
    Case(
        "the mask of new files",
        "import os; os.umask(0o027)",
        "os.umask(0o022)",
        "found = os.umask(0o022); found == 0o027",
    ),
    Case(
        "limits that code sets for itself",
        (
            "import resource; old = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (500, old[1]))"
        ),
        "resource.setrlimit(resource.RLIMIT_NOFILE, (501, old[1]))",
        "resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 500",
    ),
    Case(
        "the processors it runs on",
        "import os; had = os.sched_getaffinity(0); one = {min(had)}; os.sched_setaffinity(0, one)",
        ("os.sched_setaffinity(0, had if len(had) > 1 else had | {max(had)})\none = one if len(had) > 1 else None"),
        "found = os.sched_getaffinity(0); os.sched_setaffinity(0, had); found == one",
    ),
]

ELSEWHERE = [  # in a kernel of its own: the others name files
    Case(
        "the working directory",
        (
            "import os; home = os.getcwd(); os.makedirs('deep/er'); os.chdir('deep/er'); os.chdir(home)\n"
            "fd = os.open('deep', os.O_RDONLY); os.chdir('deep')"
        ),
        "os.chdir(home)",
        "found = os.path.basename(os.getcwd()); os.chdir(home); found == 'deep'",
    ),
]

ENDS = [
    Case(
        "a thread",
        "import threading; e = threading.Event(); t = threading.Thread(target=e.wait, daemon=True); t.start()",
        "",
        "not t.is_alive() and (t.join(9), threading.active_count())[1] >= 1",
        ends=True,
    ),
    Case(
        "an executor of threads: its threads are new",
        (
            "import concurrent.futures as c, threading; e = c.ThreadPoolExecutor(1)\n"
            "first = e.submit(threading.current_thread).result()"
        ),
        "",
        "e.submit(threading.current_thread).result(timeout=9) is not first",
        ends=True,
    ),
    Case(
        "work that an executor had not done",
        (
            "import concurrent.futures as c, threading; e = c.ThreadPoolExecutor(1); h = threading.Event()\n"
            "e.submit(h.wait); w = e.submit(abs, -1)"
        ),
        "",
        "w.cancelled() and e.submit(abs, -2).result(timeout=9) == 2",
        ends=True,
    ),
    Case(
        "a pool of threads",
        "import multiprocessing.pool as p; pool = p.ThreadPool(1)",
        "",
        (
            "try:\n"
            "    pool.apply(abs, (-1,)); said = ''\n"
            "except ValueError as problem:\n"
            "    said = str(problem)\n"
            "said == 'Pool not running'"
        ),
        ends=True,
    ),
    Case(
        "a pool of processes",
        "import multiprocessing as mp; pool = mp.get_context('fork').Pool(1)",
        "",
        (
            "try:\n"
            "    pool.apply(abs, (-1,)); said = ''\n"
            "except ValueError as problem:\n"
            "    said = str(problem)\n"
            "said == 'Pool not running'"
        ),
        ends=True,
    ),
    Case(
        "an executor of processes",
        (
            "import concurrent.futures as c, multiprocessing as mp\n"
            "e = c.ProcessPoolExecutor(1, mp.get_context('fork')); e.submit(abs, -1).result()"
        ),
        "",
        (
            "try:\n"
            "    e.submit(abs, -1).result(timeout=9); said = ''\n"
            "except Exception as problem:\n"
            "    said = type(problem).__name__\n"
            "said in ('BrokenProcessPool', 'RuntimeError')"
        ),
        ends=True,
    ),
    Case(
        "a program that was started",
        "import subprocess; p = subprocess.Popen(['sleep', '77'])",
        "",
        "p.poll() is not None",
        ends=True,
    ),
    Case(
        "a process of multiprocessing",
        (
            "import multiprocessing as mp, time\n"
            "p = mp.get_context('fork').Process(target=time.sleep, args=(77,)); p.start()"
        ),
        "",
        (
            "try:\n"
            "    p.is_alive(); said = ''\n"
            "except AssertionError as problem:\n"
            "    said = str(problem)\n"
            "said == 'can only test a child process'"
        ),
        ends=True,
    ),
    Case(
        "a pipe",
        "import os; r, w = os.pipe(); os.write(w, b'abc')",
        "",
        "os.read(r, 9) == b''",
        ends=True,
    ),
    Case(
        "a pair of sockets",
        "import socket; a, b = socket.socketpair(); a.send(b'abc')",
        "",
        ("try:\n    b.send(b'x'); said = 0\nexcept OSError as problem:\n    said = problem.errno\nsaid > 0"),
        ends=True,
    ),
    Case(
        "a server on a port",
        "import socket; s = socket.create_server(('127.0.0.1', 0)); port = s.getsockname()[1]",
        "",
        (
            "try:\n"
            "    socket.create_connection(('127.0.0.1', port), 2); said = ''\n"
            "except ConnectionRefusedError:\n"
            "    said = 'refused'\n"
            "said == 'refused' and socket.create_server(('127.0.0.1', port)).fileno() > 0"
        ),
        ends=True,
    ),
    Case(
        "an epoll",
        "import select, os; e = select.epoll()",
        "",
        ("try:\n    e.poll(0); said = 0\nexcept OSError as problem:\n    said = problem.errno\nsaid > 0"),
        ends=True,
    ),
    Case(
        "an alarm",
        "import signal; signal.signal(signal.SIGALRM, signal.SIG_IGN); signal.alarm(900)",
        "",
        "signal.getitimer(signal.ITIMER_REAL)[0] == 0",
        ends=True,
    ),
    Case(
        "a timer of threading",
        "import threading; t = threading.Timer(900, print); t.daemon = True; t.start()",
        "",
        "not t.is_alive()",
        ends=True,
    ),
]
