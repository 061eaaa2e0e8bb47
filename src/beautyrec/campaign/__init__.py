"""The tuning study, its tracking and its champion."""
