"""Monitor the platform from outside its runs. Send one alert when an incident begins, and one when it is over."""
