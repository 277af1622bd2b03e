"""What the tests stand on: tiny models, a stand-in for the Hub, and a zoo of both."""
