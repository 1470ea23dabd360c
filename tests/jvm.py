"""What a JVM of a test is started with."""

QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=256m"  # of code, 48 MB would be full
"""For one that ends before its better machine code and its parallel collector have paid for themselves."""
