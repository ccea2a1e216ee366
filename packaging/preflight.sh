#!/bin/sh
# Name in one sentence what this machine lacks to build Cloacina from source.
missing=""
need() { "$@" >/dev/null 2>&1 || missing="$missing, $name"; }
name="gcc"; need gcc --version
name="python3 (3.11 or newer)"; need python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'
name="pip for python3 (python3-pip)"; need python3 -m pip --version
name="the headers of python3 (python3-dev)"
need python3 -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))'
[ -z "$missing" ] && exit 0
echo "Cloacina needs what this machine does not have yet: ${missing#, }. Install it and run the same command again." >&2
exit 1
