"""Options of the JVMs that tests start."""

QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=256m"  # the default of 48 MB fills up
"""For a short life: a JVM of a test ends before the optimizing compiler and the parallel collector pay off."""
